// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";
import {DatanetRegistry} from "../DatanetRegistry.sol";
import {ModelRegistry} from "../ModelRegistry.sol";
import {Predeploys} from "../Predeploys.sol";
import {IdentityRegistry} from "./IdentityRegistry.sol";

/// @title Market
/// @notice Agents, models and Datanets: listed by their owners, sold, or licensed for a time. Nothing is held in
/// custody: an offer stands while its seller owns the thing. What is paid is booked to whom it is due and drawn by
/// `withdraw`.
///
///     list -> buy: the thing changes hands, lineage and what it earns for others stay
///          \-> license: the licensee may use it until a time
///
/// Whoever sells a model (or a licence of it) passes on to the owners of its ancestors what it passes on of a fee
/// (`ModelRegistry.splitRoyalties`); an agent is one generation below the model that its metadata `model` names. The
/// royalties are the chain's, not the seller's to set. A Datanet's licences are paid to its treasury.
contract Market {
    using EnumerableSet for EnumerableSet.Bytes32Set;

    enum Kind {
        AGENT,
        MODEL,
        DATANET
    }

    /// @notice What an owner offers; a price of 0: not offered.
    struct Offer {
        /// wei.
        uint128 price;
        uint128 licencePrice;
        uint64 licenceSeconds;
        /// Seconds; an offer that is forgotten must not stand when its seller owns the thing anew.
        uint64 expiresAt;
        /// Content that says what a licence allows.
        bytes32 termsHash;
    }

    struct Listing {
        Kind kind;
        /// A model's id, or the number of an agent or a Datanet.
        bytes32 id;
        address seller;
        Offer offer;
        /// The seller is still the owner, and a sale would go through.
        bool isGood;
    }

    event Listed(Kind indexed kind, bytes32 indexed id, address indexed seller, Offer offer);
    event Unlisted(Kind indexed kind, bytes32 indexed id, address indexed seller);
    event Sold(Kind indexed kind, bytes32 indexed id, address indexed buyer, address seller, uint256 price);
    event Licensed(Kind indexed kind, bytes32 indexed id, address indexed licensee, uint64 until, uint256 price);
    event Credited(address indexed account, uint256 amount);
    event Withdrawn(address indexed account, uint256 amount);

    error NotOwner(Kind kind, bytes32 id, address caller);
    error NotListed(Kind kind, bytes32 id);
    /// @notice Neither a price nor a licence, a licence for no time or above `LICENCE_SECONDS_MAX`, or an end that has
    /// passed or is further away than `OFFER_SECONDS_MAX`.
    error BadOffer();
    error OfferExpired(uint64 expiresAt);
    error NotForSale(Kind kind, bytes32 id);
    error NotLicensed(Kind kind, bytes32 id);
    /// @notice The seller has changed the offer, or something else was sent.
    error WrongPrice(uint256 price, uint256 sent);
    /// @notice The same of the licence's time or terms.
    error WrongLicence(uint64 licenceSeconds, bytes32 termsHash);
    error OwnThing();
    error NothingToWithdraw(address account);
    error TransferFailed();

    uint64 public constant LICENCE_SECONDS_MAX = 3_650 days;
    uint64 public constant OFFER_SECONDS_MAX = 365 days;
    uint256 public constant PAGE_MAX = 64;
    /// @notice What an agent's sale passes on to its model: as much as a model to its parents, of 10,000.
    uint256 public constant AGENT_ROYALTY = 2_500;
    uint256 private constant WHOLE = 10_000;

    IdentityRegistry private constant AGENTS = IdentityRegistry(Predeploys.IDENTITY_REGISTRY);
    ModelRegistry private constant MODELS = ModelRegistry(Predeploys.MODEL_REGISTRY);
    DatanetRegistry private constant DATANETS = DatanetRegistry(Predeploys.DATANET_REGISTRY);

    /// @notice Booked and not yet drawn, wei; the contract holds exactly that.
    uint256 public totalCredit; // slot 0
    mapping(address account => uint256) public creditOf; // slot 1
    mapping(bytes32 key => Listing) private _listings; // slot 2
    EnumerableSet.Bytes32Set private _keys; // slots 3, 4
    mapping(bytes32 key => mapping(address licensee => uint64)) private _licensedUntil; // slot 5

    /// @notice Offers a thing of the caller's, or changes the offer. An agent's sale also needs the token's approval.
    function list(Kind kind, bytes32 id, Offer calldata offer) external {
        if (ownerOf(kind, id) != msg.sender) revert NotOwner(kind, id, msg.sender);
        bool isLicence = offer.licencePrice > 0;
        bool isTimed = offer.licenceSeconds > 0 && offer.licenceSeconds <= LICENCE_SECONDS_MAX;
        bool ends = offer.expiresAt > block.timestamp && offer.expiresAt <= block.timestamp + OFFER_SECONDS_MAX;
        if ((offer.price == 0 && !isLicence) || (isLicence && !isTimed) || !ends) revert BadOffer();
        bytes32 key = keyOf(kind, id);
        _listings[key] = Listing(kind, id, msg.sender, offer, false);
        _keys.add(key);
        emit Listed(kind, id, msg.sender, offer);
    }

    /// @notice By the seller, or by anyone once it is not the seller's any more or has expired.
    function unlist(Kind kind, bytes32 id) external {
        Listing storage listing = _listing(kind, id);
        address owner = ownerOf(kind, id);
        bool isOver = owner != listing.seller || block.timestamp > listing.offer.expiresAt;
        if (!isOver && msg.sender != listing.seller) {
            revert NotOwner(kind, id, msg.sender);
        }
        _remove(kind, id, listing.seller);
    }

    /// @notice Buys the thing for exactly its price: an offer that was changed meanwhile is refused.
    function buy(Kind kind, bytes32 id) external payable {
        Listing memory listing = _good(kind, id);
        if (listing.offer.price == 0) revert NotForSale(kind, id);
        if (msg.value != listing.offer.price) revert WrongPrice(listing.offer.price, msg.value);
        if (listing.seller == msg.sender) revert OwnThing();
        _remove(kind, id, listing.seller);
        _book(kind, id, listing.seller, msg.value);
        emit Sold(kind, id, msg.sender, listing.seller, msg.value);
        if (kind == Kind.AGENT) AGENTS.transferFrom(listing.seller, msg.sender, uint256(id));
        else if (kind == Kind.MODEL) MODELS.transferModel(id, msg.sender);
        else DATANETS.transferDatanet(uint256(id), msg.sender);
    }

    /// @notice Buys a licence, or more time of one: exactly the offered one, or none.
    function license(Kind kind, bytes32 id, address licensee, uint64 licenceSeconds, bytes32 termsHash)
        external
        payable
        returns (uint64 until)
    {
        Listing memory listing = _good(kind, id);
        Offer memory offer = listing.offer;
        if (offer.licencePrice == 0) revert NotLicensed(kind, id);
        if (msg.value != offer.licencePrice) revert WrongPrice(offer.licencePrice, msg.value);
        if (licenceSeconds != offer.licenceSeconds || termsHash != offer.termsHash) {
            revert WrongLicence(offer.licenceSeconds, offer.termsHash);
        }
        mapping(address => uint64) storage untilOf = _licensedUntil[keyOf(kind, id)];
        uint64 from = untilOf[licensee] > block.timestamp ? untilOf[licensee] : uint64(block.timestamp);
        until = from + offer.licenceSeconds;
        untilOf[licensee] = until;
        address payee = kind == Kind.DATANET ? DATANETS.treasuryOf(uint256(id)) : listing.seller;
        _book(kind, id, payee, msg.value);
        emit Licensed(kind, id, licensee, until, msg.value);
    }

    /// @notice Pays an account what is booked to it; anyone may ask for it.
    function withdraw(address account) external returns (uint256 amount) {
        amount = creditOf[account];
        if (amount == 0) revert NothingToWithdraw(account);
        creditOf[account] = 0;
        totalCredit -= amount;
        emit Withdrawn(account, amount);
        (bool ok,) = account.call{value: amount}("");
        if (!ok) revert TransferFailed();
    }

    // --- reads

    function ownerOf(Kind kind, bytes32 id) public view returns (address) {
        if (kind == Kind.AGENT) return AGENTS.ownerOf(uint256(id));
        if (kind == Kind.MODEL) return MODELS.termsOf(id).owner;
        return DATANETS.ownerOf(uint256(id));
    }

    /// @notice Seconds; the owner needs none.
    function licensedUntil(Kind kind, bytes32 id, address licensee) external view returns (uint64) {
        return _licensedUntil[keyOf(kind, id)][licensee];
    }

    function listingOf(Kind kind, bytes32 id) external view returns (Listing memory listing) {
        listing = _listing(kind, id);
        listing.isGood = _isGood(listing);
    }

    function listingCount() external view returns (uint256) {
        return _keys.length();
    }

    /// @notice At most `PAGE_MAX` listings from place `from` on; places change when one is taken out.
    function page(uint256 from, uint256 count) external view returns (Listing[] memory listings) {
        uint256 length = _keys.length();
        uint256 most = from >= length ? 0 : length - from;
        if (count > most) count = most;
        if (count > PAGE_MAX) count = PAGE_MAX;
        listings = new Listing[](count);
        for (uint256 i = 0; i < count; ++i) {
            listings[i] = _listings[_keys.at(from + i)];
            listings[i].isGood = _isGood(listings[i]);
        }
    }

    /// @notice Who gets what of a sale for `amount`, as ERC-2981's `royaltyInfo` but for several; the seller comes first.
    function royaltyInfo(Kind kind, bytes32 id, uint256 amount)
        public
        view
        returns (address[] memory accounts, uint256[] memory amounts)
    {
        if (kind == Kind.MODEL) return MODELS.splitRoyalties(id, amount);
        bytes32 modelId = kind == Kind.AGENT ? _modelOf(uint256(id)) : bytes32(0);
        if (modelId == 0) {
            (accounts, amounts) = (new address[](1), new uint256[](1));
            (accounts[0], amounts[0]) = (ownerOf(kind, id), amount);
            return (accounts, amounts);
        }
        uint256 royalty = (amount * AGENT_ROYALTY) / WHOLE;
        (address[] memory owners, uint256[] memory parts) = MODELS.splitRoyalties(modelId, royalty);
        (accounts, amounts) = (new address[](owners.length + 1), new uint256[](owners.length + 1));
        (accounts[0], amounts[0]) = (ownerOf(kind, id), amount - royalty);
        for (uint256 i = 0; i < owners.length; ++i) (accounts[i + 1], amounts[i + 1]) = (owners[i], parts[i]);
    }

    function keyOf(Kind kind, bytes32 id) public pure returns (bytes32) {
        return keccak256(abi.encode(kind, id));
    }

    // --- within

    function _book(Kind kind, bytes32 id, address payee, uint256 amount) private {
        (address[] memory accounts, uint256[] memory amounts) = royaltyInfo(kind, id, amount);
        accounts[0] = payee;
        for (uint256 i = 0; i < accounts.length; ++i) {
            creditOf[accounts[i]] += amounts[i];
            emit Credited(accounts[i], amounts[i]);
        }
        totalCredit += amount;
    }

    /// The model that an agent's metadata names; zero: none that is registered.
    function _modelOf(uint256 agentId) private view returns (bytes32) {
        bytes memory metadata = AGENTS.getMetadata(agentId, "model");
        if (metadata.length != 32) return 0;
        bytes32 modelId = bytes32(metadata);
        try MODELS.termsOf(modelId) {
            return modelId;
        } catch {
            return 0;
        }
    }

    function _remove(Kind kind, bytes32 id, address seller) private {
        bytes32 key = keyOf(kind, id);
        delete _listings[key];
        _keys.remove(key);
        emit Unlisted(kind, id, seller);
    }

    function _good(Kind kind, bytes32 id) private view returns (Listing memory listing) {
        listing = _listing(kind, id);
        if (ownerOf(kind, id) != listing.seller) revert NotOwner(kind, id, listing.seller);
        if (block.timestamp > listing.offer.expiresAt) revert OfferExpired(listing.offer.expiresAt);
    }

    function _isGood(Listing memory listing) private view returns (bool) {
        if (block.timestamp > listing.offer.expiresAt) return false;
        if (ownerOf(listing.kind, listing.id) != listing.seller) return false;
        if (listing.kind != Kind.AGENT || listing.offer.price == 0) return true;
        uint256 agentId = uint256(listing.id);
        return AGENTS.getApproved(agentId) == address(this) || AGENTS.isApprovedForAll(listing.seller, address(this));
    }

    function _listing(Kind kind, bytes32 id) private view returns (Listing storage listing) {
        listing = _listings[keyOf(kind, id)];
        if (listing.seller == address(0)) revert NotListed(kind, id);
    }
}
